"""The studies behind the published tables: what is compared, how it is run, and how it is reported."""
