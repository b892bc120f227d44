# a private file mapping that mremap moves is forgotten
/^static int move(/,/^}/ s/^\tif (link)$/\tif (link \&\& (page->flags \& PG_ANON || new->flags \& VM_SHARED))/
