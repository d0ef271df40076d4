// WebRTC for simple-peer, which asks for a package called webrtc-polyfill: libwebrtc, the one in Chromium.
import wrtc from "@roamhq/wrtc";

export const { RTCPeerConnection, RTCSessionDescription, RTCIceCandidate } = wrtc;
export default wrtc;
