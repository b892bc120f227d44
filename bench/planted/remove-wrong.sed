# of five sharers, the one that leaves takes the newest one's node
/^static void rmap_remove(/,/^}/ s/^\tif (link)$/\tif (page->mapcount == 5)\n\t\tlink = (struct node **)\&page->rmap.ptr;\n\tif (link)/
