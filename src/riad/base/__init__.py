"""Base images made from the distribution's own package mirror, for sites where no registry is reachable."""
