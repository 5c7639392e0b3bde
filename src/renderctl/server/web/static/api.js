// Requests to the API. `sendRequest` returns the document of the response, or throws an error with `status` and `code`.
export function csrfToken() {
  return document.querySelector('meta[name="csrf"]').content;
}

export async function sendRequest(method, url, body, signal) {
  const headers = { "X-CSRF-Token": csrfToken() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  const result = await response.json().catch(() => ({}));
  if (response.ok) return result;
  throw Object.assign(new Error(errorMessage(response.status, result)), { status: response.status, code: result.error?.code });
}

// The message of an error document, with its hint.
export function errorMessage(status, document) {
  const { message = `The server answered ${status}.`, hint } = document?.error ?? {};
  return [message, hint].filter(Boolean).join(" ");
}
