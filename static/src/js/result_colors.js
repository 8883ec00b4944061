/** The colour of a result, the same on each screen; empty for an unknown one. */
export function resultColor(result) {
  const style = window.getComputedStyle(document.documentElement);
  return style.getPropertyValue(`--bwt-webhook-${result}`).trim();
}
