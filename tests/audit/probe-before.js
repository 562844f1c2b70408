// Runs before the page's own script: notes every error, and everything that the page would load.
window.probe = { errors: [], blocked: [] };
addEventListener("error", (event) => window.probe.errors.push(String(event.message || event.target.outerHTML)), true);
addEventListener("unhandledrejection", (event) => window.probe.errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => window.probe.errors.push(`${event.violatedDirective} ${event.blockedURI}`));
