// A page that cannot start says so. This script stands by itself, so that it works even where the other scripts fail.

const page = document.documentElement;
const status = document.getElementById("status");

/** @param {string} reason */
function failed(reason) {
  if (page.dataset.state !== "starting" || !status) return; // later faults do not end the page
  page.dataset.state = "failed";
  status.textContent = `The annotator could not start in this browser: ${reason}. Reload the page, or open it in a \
current version of Chrome, Edge, Firefox or Safari`;
}

addEventListener("error", (event) => {
  if (event.target instanceof HTMLScriptElement) failed(`${new URL(event.target.src).pathname} could not be loaded`);
  else if (event instanceof ErrorEvent) failed(event.error instanceof Error ? event.error.message : event.message);
}, true);
addEventListener("unhandledrejection", ({ reason }) => {
  failed(reason instanceof Error ? reason.message : String(reason));
});

export {};
