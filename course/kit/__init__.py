"""What the notebooks import beside the checks: corpora, devices, plotting, training, widgets."""
