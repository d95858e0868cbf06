/* SPDX-License-Identifier: MIT */
/* Today's headers against the frozen ones: no field has moved, no number has changed, and nothing has
 * become smaller. The test is that it compiles. */
#include <agave/backend.h>
#include <agave/model.h>
#include <agave/transport.h>

#define SIZE(type, bytes) _Static_assert(sizeof(type) >= bytes, #type " became smaller");
#define AT(type, field, offset) _Static_assert(offsetof(type, field) == offset, #type "." #field " moved");
#define NUMBER(name, value) _Static_assert(name == value, #name " changed");
#include "v1/layout.h"

#define X(num, name, least, most) _Static_assert(AG_OP_##name == num, "op " #name " changed");
#include "v1/agave/op.def"
#undef X
#define X(num, id, name, elems, bytes, gguf) _Static_assert(AG_##id == num, "type " #id " changed");
#include "v1/agave/dtype.def"
#undef X

int main(void) { return 0; }
