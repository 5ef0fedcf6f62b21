"""A container's log: conmon writes it, the engine keeps it in bounds, reads it and passes it on.

`entries` is conmon's format, `segments` the files that a log is made of, `keep` their rotation, `read` reading and
following over all of them, `show` what clients get to see, `options` what `--log-opt` may say, `attributes` labels,
environment and tags, `drivers` the places outside that logs are delivered to. Start with `segments`.
"""
