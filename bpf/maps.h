/* maps.h - maps by their names. A map is a number in the text, which the loader replaces by the map's descriptor.
 *
 * The shapes of all maps are data: groups/<group>.py and groups/rows.py. TABLE says which C types the key and the value of one
 * are, and fails to compile if their sizes are not those of the data.
 */
#define TABLE(name, key_type, value_type) \
	_Static_assert(sizeof(key_type) == KEY_SIZE_##name, "the key of " #name); \
	_Static_assert(sizeof(value_type) == VALUE_SIZE_##name, "the value of " #name)

/* The only value of an array that has one, without a look-up. */
#define value_of(table) VALUE_##table

#define lookup(table, key) bpf_map_lookup_elem(MAP_##table, key)
#define update(table, key, value) bpf_map_update_elem(MAP_##table, key, value, BPF_ANY)
#define insert(table, key, value) bpf_map_update_elem(MAP_##table, key, value, BPF_NOEXIST)
#define delete(table, key) bpf_map_delete_elem(MAP_##table, key)
