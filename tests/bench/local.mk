# Benchmarks: EXTRA_PROGRAMS += tests/bench/bench_x, bench_programs += the same.
