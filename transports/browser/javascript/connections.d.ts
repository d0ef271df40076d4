/** Types of connections.js, which says how it is used. */

/** On the page.  Returns what closes every connection that was lent, and the port. */
export function lendConnections(port: MessagePort): () => void;

/** In a worker: what `self.RTCPeerConnection` is to be. */
export function borrowConnections(port: MessagePort): new (configuration?: RTCConfiguration) => EventTarget;
