"""What the engine and its containers tell Prometheus: cAdvisor's names for containers, dockerd's for the engine.

Pure but for `collect`, which samples; imports containers and host. Start in `collect.py`.
"""
