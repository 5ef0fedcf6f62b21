"""The composition root of the server: `wiring` builds the parts, `reactions` joins the domains."""
