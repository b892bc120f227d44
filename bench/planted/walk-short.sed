# walks end after six mappings
/^static void walk(/,/^}/ s/^\twhile (\*link) {$/\tfor (int n = 0; n < 6 \&\& *link; n++) {/
