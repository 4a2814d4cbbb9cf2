/* What the worker asks of the page, in messages that carry a port for the answer. */

/* Return XMP as upright_xmp.js makes it: only a page can parse XML. */
export function uprightXmp(xmp, orientation, size) {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => done(data);
    self.postMessage({ port: port2, xmp, orientation, size }, [port2]);
  });
}
