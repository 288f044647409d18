// Several rows are chosen for one form: all of them at once, and the button says how many.

const form = document.getElementById("chosen");
const all = document.querySelector("[data-choose-all]");

if (form && all) {
  const button = form.querySelector("button");
  const boxes = () => [...form.elements].filter((each) => each.type === "checkbox");
  const tell = () => {
    const ticked = boxes().filter((each) => each.checked).length;
    button.textContent = ticked ? `Delete ${ticked} ${ticked === 1 ? "tag" : "tags"}…` : "Delete those chosen…";
    button.disabled = !ticked;
    form.classList.toggle("now", ticked > 0);
    all.checked = ticked > 0 && ticked === boxes().length;
    all.indeterminate = ticked > 0 && !all.checked;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const each of boxes()) each.checked = all.checked;
    tell();
  });
  document.addEventListener("change", (event) => {
    if (event.target.form === form) tell();
  });
  // A row that a push took away is chosen no more; going back finds boxes as they were left.
  new MutationObserver(tell).observe(document.querySelector("[data-key]").parentElement, { childList: true });
  addEventListener("pageshow", tell);
  tell();
}
