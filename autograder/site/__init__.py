"""The course as a site: executed chapters, guides and reference as static pages that ask nothing of any other machine."""
