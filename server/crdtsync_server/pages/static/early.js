// Runs before the first paint, so that nothing flashes: theme and language of this browser.
"use strict";
(() => {
  const root = document.documentElement;
  const kept = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;  // storage may be switched off; the pages work without it
    }
  };
  const theme = kept("crdtsync.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const asked = new URLSearchParams(location.search).get("lang");
  const lang = asked || kept("crdtsync.lang");
  if (lang) root.lang = lang.toLowerCase().startsWith("ko") ? "ko" : "en";
})();
