// A form that is submitted once, however often its button is pressed.
for (const form of document.querySelectorAll("form[data-once]")) {
  const button = form.querySelector("button.primary");
  form.addEventListener("submit", () => setTimeout(() => { button.disabled = true; }));
  addEventListener("pageshow", () => { button.disabled = false; });
}
document.querySelector('[aria-invalid="true"]')?.focus();
