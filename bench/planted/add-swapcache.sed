# a second sharer that comes back from swap is not entered
/^static int add(/,/^}/ s/^\tstruct node \*node = rmap_cache_alloc/\tif ((page->flags \& PG_SWAPCACHE) \&\& page->mapcount == 1)\n\t\treturn 0;\n&/
