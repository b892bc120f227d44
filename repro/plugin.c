/*
 * Load a backend from a shared object, after making sure that it means what we mean.
 *
 * A plugin runs with all our rights and can crash us; what is refused here is what an honest
 * author gets wrong: a forgotten macro, headers of another version, a hook left out.
 */
#include "plugin.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a plugin has to agree on with this build. */
static const struct rmap_plugin ours = {
	RMAP_PLUGIN_VERSION,
	sizeof(struct rmap_ops),
	sizeof(struct page),
	sizeof(struct vma),
	sizeof(struct mm),
	sizeof(struct address_space),
	NULL,
};

static const struct rmap_ops *refuse(char *error, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static const struct rmap_ops *refuse(char *error, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
	return NULL;
}

static bool same_layout(const struct rmap_plugin *plugin)
{
	return plugin->ops_size == ours.ops_size && plugin->page_size == ours.page_size &&
	       plugin->vma_size == ours.vma_size && plugin->mm_size == ours.mm_size &&
	       plugin->mapping_size == ours.mapping_size;
}

/* The hook that OPS lacks, or NULL. */
static const char *missing_hook(const struct rmap_ops *ops)
{
	if (!ops->add)
		return "add";
	if (!ops->remove)
		return "remove";
	return ops->walk ? NULL : "walk";
}

/* Names appear in signatures and option lists. */
static bool good_name(const char *name)
{
	return name && *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.+-")];
}

const struct rmap_ops *plugin_load(const char *path, char *error, size_t size)
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct rmap_plugin *plugin;
	const struct rmap_ops *ops;

	if (!object) /* its message names the file */
		return refuse(error, size, "%s", dlerror());
	plugin = dlsym(object, RMAP_PLUGIN_SYMBOL);
	if (!plugin)
		return refuse(error, size, "%s: has no RMAP_PLUGIN() in it", path);
	if (plugin->version != ours.version)
		return refuse(error, size,
			      "%s: was made for version %u of the backend contract, this is %u",
			      path, plugin->version, ours.version);
	if (!same_layout(plugin))
		return refuse(error, size,
			      "%s: was compiled against other headers; compile it again", path);
	ops = plugin->ops;
	if (!good_name(ops->name))
		return refuse(error, size,
			      "%s: a backend's name is made of a-z, 0-9, and any of _.+-", path);
	if (missing_hook(ops))
		return refuse(error, size, "%s: %s has no %s()", path, ops->name,
			      missing_hook(ops));
	if (rmap_find(ops->name))
		return refuse(error, size, "%s: there is a backend \"%s\" already", path,
			      ops->name);
	return ops;
}
