// Continues to the annotator from a one-time address, with what comes after # in it. From a page with a message, only a
// click continues, so that no other site can open the annotator in the name of a user of its choice.

const link = document.getElementById("continue");
if (link instanceof HTMLAnchorElement) {
  link.href += location.hash;
  history.replaceState(null, "", "?continues"); // an address that differs by more than the part after # is loaded anew
  if (!document.getElementById("message")?.textContent) location.replace(link.href);
}

export {};
