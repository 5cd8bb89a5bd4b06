// Runs before the page is drawn, so that it never shows the other theme first.
const key = "syncline-theme"

/** Follows the system until somebody chooses. */
function show(): void {
  const chosen = localStorage.getItem(key)
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches
  document.documentElement.dataset.theme = dark ? "dark" : "light"
}

show()
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show)
addEventListener("storage", show)
addEventListener("syncline-theme", () => {
  localStorage.setItem(key, document.documentElement.dataset.theme === "dark" ? "light" : "dark")
  show()
})
