/* SPDX-License-Identifier: MIT */
/* format.h - a file format: says where the bytes are, never reads weights.
 *
 * Mapping, prefetching, transforming and uploading are the host's, written once. All sizes in files
 * are hostile: every offset and product is checked before use and nothing recurses on input.
 * Thread: all calls for one file come from one thread.
 * Besides format=NAME the words of a plugin's note say which files it is loaded for: magic=HEX, first
 * bytes (".." is any byte); dir=PATTERN, a name that a directory holds. Without such words it is loaded
 * and probed each time. */
#ifndef AGAVE_FORMAT_H
#define AGAVE_FORMAT_H

#include <agave/quant.h>

enum { AG_MAX_DIM = 4, AG_MAX_PLANE = 4 };

/* Where one array of a tensor lies: `bytes` bytes from `offset` of part `part`. */
struct ag_plane {
    uint32_t part;
    uint32_t dtype; /* of the elements of this plane: scales may be BF16 or F8_E4M3 */
    uint64_t offset, bytes;
};

/* A tensor as the model sees it. One of more than four dims is shown with its slowest ones multiplied
 * together. A quantised tensor stored as several arrays (weight, scales,
 * biases, global scale) is one tensor with several planes: 0 codes, 1 scales, 2 biases or second
 * scale, 3 spare. */
struct ag_tensor {
    uint32_t size;
    uint32_t dtype;
    const char *name;            /* lives as long as the open file */
    int64_t dim[AG_MAX_DIM];     /* dim[0] varies fastest; unused ones are 1 */
    uint32_t n_dim, n_plane;
    struct ag_plane plane[AG_MAX_PLANE];
    uint32_t group;              /* elements that share a scale, 0 where the dtype says it */
    uint32_t nibble_order;       /* 0 as the dtype says, 1 low nibble = even element */
};

enum ag_value_type {
    AG_VALUE_NONE = 0,
    AG_VALUE_INT = 1,   /* i; unsigned numbers above INT64_MAX are refused by the format */
    AG_VALUE_FLOAT = 2, /* f */
    AG_VALUE_BOOL = 3,  /* i = 0 or 1 */
    AG_VALUE_STR = 4,   /* data, bytes; not 0-terminated */
    AG_VALUE_ARRAY = 5, /* data, bytes, count, elem */
};

/* Element types of an array view. Numbers are packed little endian without alignment; a string is a
 * u64 length and its bytes. Arrays of arrays are not viewed (elem = AG_ELEM_OTHER, data = NULL). */
enum ag_elem {
    AG_ELEM_OTHER = 0, AG_ELEM_U8 = 1, AG_ELEM_I8 = 2, AG_ELEM_U16 = 3, AG_ELEM_I16 = 4,
    AG_ELEM_U32 = 5, AG_ELEM_I32 = 6, AG_ELEM_U64 = 7, AG_ELEM_I64 = 8, AG_ELEM_F32 = 9,
    AG_ELEM_F64 = 10, AG_ELEM_BOOL = 11, AG_ELEM_STR = 12,
};

struct ag_value {
    uint32_t size;
    uint32_t type; /* enum ag_value_type */
    uint32_t elem; /* enum ag_elem, of arrays */
    uint32_t pad;
    int64_t i;
    double f;
    const void *data; /* lives as long as the open file */
    uint64_t bytes, count;
};

/* Files that lie beside the weights. */
enum ag_file_role {
    AG_FILE_TOKENIZER = 1,        /* tokenizer.json */
    AG_FILE_TOKENIZER_CONFIG = 2, /* tokenizer_config.json */
    AG_FILE_CHAT_TEMPLATE = 3,    /* chat_template.jinja */
    AG_FILE_GENERATION = 4,       /* generation_config.json */
    AG_FILE_CONFIG = 5,           /* config.json */
    AG_FILE_SPECIAL_TOKENS = 6,   /* special_tokens_map.json */
    AG_FILE_PREPROCESSOR = 7,     /* preprocessor_config.json */
};

typedef struct ag_file ag_file;

struct ag_format {
    uint32_t size;
    /* How well does this file or directory fit: 0 not mine. `head` is its first n bytes (n may be
     * small, 0 for a directory). Reads nothing else but names. */
    int (*probe)(const void *head, size_t n, const char *path, bool is_dir);
    int (*open)(const char *path, ag_file **out);
    void (*close)(ag_file *); /* NULL is fine */
    /* "gguf", "hf" or "mlx": which of a model's name tables applies. */
    const char *(*scheme)(ag_file *);
    /* For people: "GGUF v3", "SafeTensors". */
    const char *(*label)(ag_file *);
    uint32_t (*part_count)(ag_file *);
    const char *(*part)(ag_file *, uint32_t i); /* path */
    uint32_t (*tensor_count)(ag_file *);
    int (*tensor)(ag_file *, uint32_t i, struct ag_tensor *out); /* out->size set by the caller */
    /* Value of a key ("gemma3.block_count"; JSON pointers without the first slash for nested
     * objects: "text_config/hidden_size"); false when absent. An object is there with type NONE.
     * out->size set by the caller. */
    bool (*meta)(ag_file *, const char *key, struct ag_value *out);
    /* Keys in file order, for listings; NULL past the end. */
    const char *(*meta_key)(ag_file *, uint32_t i);
    /* Path of a file beside the weights, NULL when there is none. */
    const char *(*file)(ag_file *, uint32_t role);
};

#endif
