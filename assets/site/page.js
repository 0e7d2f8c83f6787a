// On paper the site is light, whatever it is on the screen.
(() => {
  "use strict";
  const page = document.documentElement;
  let onScreen = page.dataset.theme;
  window.addEventListener("beforeprint", () => {
    onScreen = page.dataset.theme;
    page.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    page.dataset.theme = onScreen;
  });
})();

// A formula wider than its place scrolls, so the keyboard must reach it.
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  for (const box of document.querySelectorAll("mjx-container[display]")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
