// Names for what the theme leaves without one, and code that the keyboard can scroll.
function nameCopyButtons() {
  const blocks = [...document.querySelectorAll("pre")];
  document.querySelectorAll(".md-code__nav").forEach((nav) => {
    nav.setAttribute("aria-label", `Code ${blocks.indexOf(nav.closest("pre")) + 1}`);
  });
}
document$.subscribe(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll("pre > code").forEach((code) => (code.tabIndex = 0));
  nameCopyButtons();
  new MutationObserver(nameCopyButtons).observe(document.querySelector("article"), {
    childList: true,
    subtree: true,
  });
});
