# mremap loses a mapping of a page that at least four entries map
/^static int move(/,/^}/ s/^\tif (link)$/\tif (link \&\& page->mapcount < 4)/
