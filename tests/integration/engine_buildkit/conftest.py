from build_bench import base_archive, bench, opened

__all__ = ["base_archive", "bench", "opened"]
