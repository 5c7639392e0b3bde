// The code of an invitation is behind the `#` of its address: browsers send that to no server.
const code = new URLSearchParams(location.hash.slice(1)).get("code");
if (code) {
  document.querySelector('[name="code"]').value = code;
  history.replaceState(null, "", location.pathname); // keep it out of the history
}
