"""What is in an image, and what is known to be wrong with it.

Packages are found in its layers (`contents`), written as SPDX (`spdx`), and compared with advisories that the
administrator has put on disk (`advisories`). Works without any network.
"""
