// A message at the edge of the page, which screen readers read aloud; it goes away after some seconds.
export function showToast(text, isError = false) {
  const toast = document.getElementById("toast");
  toast.textContent = text;
  toast.classList.toggle("error", isError);
  clearTimeout(showToast.timer);
  showToast.timer = setTimeout(() => { toast.textContent = ""; }, isError ? 12000 : 4000);
}
