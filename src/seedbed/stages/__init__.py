"""One file for each verb, a page each: load, check, build, fit, write."""
