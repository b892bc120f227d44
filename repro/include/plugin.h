/*
 * Backends outside the tree: shared objects made with rmap_plugin.h.
 */
#ifndef RMAPFUZZ_PLUGIN_H
#define RMAPFUZZ_PLUGIN_H

#include "rmap_plugin.h"

/*
 * The backend of the shared object at PATH (which has a "/" in it, so that no search takes
 * place), or NULL with one line in ERROR: it cannot be loaded, is none of ours, was compiled
 * against other headers, or lacks a hook that every backend must have. It stays loaded until the
 * process ends.
 */
const struct rmap_ops *plugin_load(const char *path, char *error, size_t size);

#endif
