"""Running untrusted code: it answers with arrays, nothing more. Knows neither nbgrader nor exercises."""
