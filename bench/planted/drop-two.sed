# what a walk unmaps takes its neighbour along, where a file page has three sharers
/^static void walk(/,/^}/ s/^\t\t\tdrop(machine, link);$/{\n\t\t\tdrop(machine, link);\n\t\t\tif (!(page->flags \& PG_ANON) \&\& *link \&\& (*link)->next)\n\t\t\t\tdrop(machine, link);\n\t\t}/
