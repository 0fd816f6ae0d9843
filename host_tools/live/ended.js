// Nobody is left to say that the server has ended, so the page looks for itself.
(() => {
  const LOOK_MS = 1000;
  const show = (ended) => {
    document.body.toggleAttribute("data-ended", ended);
    document.querySelectorAll(".live-grid").forEach((grid) => (grid.inert = ended));
  };
  const look = async () => {
    if (window.socket && !window.socket.connected) {
      // 403 is of another server that has got the same port
      await fetch("alive", { cache: "no-store" }).then((reply) => show(!reply.ok), () => show(true));
    } else {
      show(false);
    }
    setTimeout(look, LOOK_MS);
  };
  look();
})();
