#include "turbo.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "fail.h"

// Copies a row and repeats its last sample up to the blocks' end.
static void pad(uint8_t *to, const uint8_t *from, int width, int padded)
{
	memcpy(to, from, width);
	memset(to + width, from[width - 1], padded - width);
}

static void write_planes(j_compress_ptr c, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                         int width, int height, int ystride, int cstride)
{
	JSAMPROW rows[3][2 * DCTSIZE];
	JSAMPARRAY plane[3] = {rows[0], rows[1], rows[2]};
	int padded = (width + 15) & ~15;

	for (int i = 0; i < 3; i++) {
		size_t w = i ? padded / 2 : padded;
		uint8_t *p = (*c->mem->alloc_large)((j_common_ptr)c, JPOOL_IMAGE, w * 2 * DCTSIZE);
		for (int r = 0; r < 2 * DCTSIZE; r++)
			rows[i][r] = p + r * w;
	}
	for (int at = 0; at < height; at += 2 * DCTSIZE) {
		for (int r = 0; r < 2 * DCTSIZE; r++) {
			int from = at + r < height ? at + r : height - 1;
			pad(rows[0][r], y + (size_t)from * ystride, width, padded);
		}
		for (int r = 0; r < DCTSIZE; r++) {
			int from = at / 2 + r < height / 2 ? at / 2 + r : height / 2 - 1;
			pad(rows[1][r], u + (size_t)from * cstride, width / 2, padded / 2);
			pad(rows[2][r], v + (size_t)from * cstride, width / 2, padded / 2);
		}
		jpeg_write_raw_data(c, plane, 2 * DCTSIZE);
	}
}

int vb_jpeg_encode(const uint8_t *y, const uint8_t *u, const uint8_t *v, int width, int height,
                   int ystride, int cstride, int quality, uint8_t **out, unsigned long *size,
                   vb_jpeg_info *info)
{
	struct jpeg_compress_struct c;
	failure f;
	volatile int result = -1;

	memset(info, 0, sizeof *info);
	*out = NULL;
	*size = 0;
	memset(&c, 0, sizeof c);
	c.err = on_failure(&f, info);
	if (setjmp(f.back) == 0) {
		jpeg_create_compress(&c);
		jpeg_mem_dest(&c, out, size);
		c.image_width = width;
		c.image_height = height;
		c.input_components = 3;
		c.in_color_space = JCS_YCbCr;
		jpeg_set_defaults(&c); // 4:2:0
		jpeg_set_quality(&c, quality, TRUE);
		c.raw_data_in = TRUE;
		c.dct_method = JDCT_ISLOW;
		jpeg_start_compress(&c, TRUE);
		write_planes(&c, y, u, v, width, height, ystride, cstride);
		jpeg_finish_compress(&c);
		result = 0;
	} else {
		*out = NULL; // libjpeg may have freed what it points to
	}
	jpeg_destroy_compress(&c);
	return result;
}
