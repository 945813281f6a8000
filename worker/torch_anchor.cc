// Compiles the precompiled header that every unit with torch reuses.
