// The code of an invitation stands behind the `#` of its address: no server, log or other site is sent it.
const code = new URLSearchParams(location.hash.slice(1)).get("code");
if (code) {
  document.querySelector('[name="code"]').value = code;
  history.replaceState(null, "", location.pathname); // nor is it left in the history
}
