"""The dataset side: reading, regions, plan, quality gates, manifest, cache and summary."""
