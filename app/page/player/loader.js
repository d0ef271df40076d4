// hls.js's loader: what the balancer knows comes through it once it is there, and all else from the CDN as ever.

// Of hls.js's contexts those of segments, init sections and keys have a fragment; the first playlist is loaded once.
const isFragment = (context) => context.frag !== undefined;
const isPlaylist = (context) => ["level", "audioTrack", "subtitleTrack"].includes(context.type);
const hurried = (config) => ({ ...config, loadPolicy: { ...config.loadPolicy, errorRetry: null, timeoutRetry: null } });
const whole = (bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer);

/** The class that hls.js makes a loader of for each request.
 *
 *  `balancer()` is there or null.  `note(context, data, by)` hears of each segment, init section and key, and who gave it.
 *  `mirrors(url)` is where else the same file lies: without the balancer each is asked, once, before any is asked again. */
export function loaderClass(balancer, note, mirrors = () => []) {
  return class extends Hls.DefaultConfig.loader {
    #abort = null; // of a load through the balancer

    load(context, config, callbacks) {
      if (balancer() === null || !(isFragment(context) || isPlaylist(context)))
        return this.#loadDirectly(context, config, callbacks);
      const stats = this.stats;
      const abort = (this.#abort = new AbortController());
      this.context = context; // as the default loader keeps them, for its abort()
      this.callbacks = callbacks;
      stats.loading.start = performance.now();
      const loaded = (data, byteLength) => {
        if (abort.signal.aborted) return;
        this.#abort = null;
        stats.loading.first = stats.loading.end = performance.now();
        stats.loaded = stats.total = byteLength;
        if (isFragment(context)) note(context, data, "balancer");
        callbacks.onProgress?.(stats, context, data, null);
        callbacks.onSuccess({ url: context.url, data, code: 200 }, stats, context, null);
      };
      const failed = (error) => {
        if (abort.signal.aborted) return;
        this.#abort = null;
        // Of media nothing may come that the balancer refuses: it may have been wrong.
        if (isFragment(context) && error.name !== "UnknownResource" && error.name !== "BridgeClosed")
          return callbacks.onError({ code: 0, text: String(error.message ?? error) }, context, null, stats);
        stats.loading.start = 0; // else it would say that it was used already
        this.#loadDirectly(context, config, callbacks);
      };
      if (isFragment(context)) {
        const part = context.rangeEnd ? { first: context.rangeStart, end: context.rangeEnd } : {};
        balancer()
          .load(context.url, { ...part, signal: abort.signal })
          .then((bytes) => loaded(whole(bytes), bytes.byteLength), failed);
      } else
        balancer()
          .playlist(context.url)
          .then((text) => loaded(text, text.length), failed);
    }
    #loadDirectly(context, config, callbacks, [next, ...others] = mirrors(context.url), url = context.url) {
      const failed = (name) => (what, _, ...more) => {
        if (next === undefined) return callbacks[name]?.(what, context, ...more);
        this.stats.loading.start = 0; // as above
        this.#loadDirectly(context, config, callbacks, others, next);
      };
      const onSuccess = (response, stats, _, ...rest) => {
        if (isFragment(context)) note(context, response.data, "direct");
        // What a playlist names lies beside it: on the first CDN, by whose URLs the balancer knows it.
        const from = url === context.url ? response.url : context.url;
        callbacks.onSuccess({ ...response, url: from }, stats, context, ...rest);
      };
      const all = { ...callbacks, onSuccess, onError: failed("onError"), onTimeout: failed("onTimeout") };
      const where = url === context.url ? context : { ...context, url };
      super.load(where, next === undefined ? config : hurried(config), all);
    }
    abort() {
      this.#leave();
      super.abort();
    }
    destroy() {
      this.#leave();
      super.destroy();
    }
    #leave() {
      if (this.#abort === null) return;
      this.#abort.abort();
      this.#abort = null;
      this.stats.aborted = true;
    }
  };
}
