#include "turbo.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "fail.h"

// One row of MCUs, in whichever layout the source has.
typedef struct {
	uint8_t *y, *u, *v;
	int ystride, cstride, width, height; // of the I420 picture
} target;

static void *scratch(j_decompress_ptr c, size_t size)
{
	return (*c->mem->alloc_large)((j_common_ptr)c, JPOOL_IMAGE, size);
}

static int sampling(j_decompress_ptr c)
{
	const jpeg_component_info *i = c->comp_info;
	if (c->jpeg_color_space != JCS_YCbCr || c->num_components != 3)
		return 0;
	if (i[1].h_samp_factor != 1 || i[1].v_samp_factor != 1 || i[2].h_samp_factor != 1 ||
	    i[2].v_samp_factor != 1 || i[0].h_samp_factor != 2)
		return 0;
	return i[0].v_samp_factor == 2 ? 420 : i[0].v_samp_factor == 1 ? 422 : 0;
}

// Copies the luma and chroma of n luma rows that start at row `at` of the
// picture. Chroma rows of 4:2:2 are averaged by pairs.
static void put(const target *t, JSAMPARRAY *plane, int at, int rows, int is422)
{
	for (int r = 0; r < rows && at + r < t->height; r++)
		memcpy(t->y + (size_t)(at + r) * t->ystride, plane[0][r], t->width);
	for (int r = 0; r + 1 < rows && at + r + 1 < t->height; r += 2) {
		size_t to = (size_t)((at + r) / 2) * t->cstride;
		if (!is422) {
			memcpy(t->u + to, plane[1][r / 2], t->width / 2);
			memcpy(t->v + to, plane[2][r / 2], t->width / 2);
			continue;
		}
		for (int x = 0; x < t->width / 2; x++) {
			t->u[to + x] = (plane[1][r][x] + plane[1][r + 1][x] + 1) >> 1;
			t->v[to + x] = (plane[2][r][x] + plane[2][r + 1][x] + 1) >> 1;
		}
	}
}

// 4:2:0 and 4:2:2: the planes as they are coded.
static void read_raw(j_decompress_ptr c, const target *t, int is422)
{
	JSAMPROW rows[3][2 * DCTSIZE];
	JSAMPARRAY plane[3] = {rows[0], rows[1], rows[2]};
	int luma = is422 ? DCTSIZE : 2 * DCTSIZE;

	for (int i = 0; i < 3; i++) {
		size_t width = (size_t)c->comp_info[i].width_in_blocks * DCTSIZE + 2 * DCTSIZE;
		uint8_t *p = scratch(c, width * 2 * DCTSIZE);
		memset(p, 128, width * 2 * DCTSIZE);
		for (int r = 0; r < 2 * DCTSIZE; r++)
			rows[i][r] = p + r * width;
	}
	while (c->output_scanline < c->output_height) {
		int at = c->output_scanline;
		if (jpeg_read_raw_data(c, plane, luma) == 0)
			return;
		put(t, plane, at, luma, is422);
	}
}

// Everything else: two rows of full YCbCr at a time.
static void read_full(j_decompress_ptr c, const target *t)
{
	int grey = c->output_components == 1;
	size_t width = (size_t)c->output_width * c->output_components;
	JSAMPROW row[2] = {scratch(c, width), scratch(c, width)};

	for (int at = 0; at + 1 < t->height; at += 2) {
		for (int r = 0; r < 2; r++)
			if (jpeg_read_scanlines(c, &row[r], 1) == 0)
				return;
		for (int r = 0; r < 2; r++)
			for (int x = 0; x < t->width; x++)
				t->y[(size_t)(at + r) * t->ystride + x] = row[r][grey ? x : 3 * x];
		for (int x = 0; x < t->width / 2; x++)
			for (int i = 1; i < 3; i++) {
				const uint8_t *p = row[0] + 6 * x + i, *q = row[1] + 6 * x + i;
				uint8_t *to = (i == 1 ? t->u : t->v) + (size_t)(at / 2) * t->cstride + x;
				*to = grey ? 128 : (p[0] + p[3] + q[0] + q[3] + 2) >> 2;
			}
	}
}

static int header(j_decompress_ptr c, const uint8_t *data, size_t size, vb_jpeg_info *info)
{
	jpeg_mem_src(c, data, size);
	jpeg_read_header(c, TRUE);
	info->width = c->image_width;
	info->height = c->image_height;
	// Several scans are buffered whole, and can be many: no device sends them.
	if (c->progressive_mode || c->arith_code || jpeg_has_multiple_scans(c))
		return refuse(info, "progressive, arithmetic or in several scans: only baseline in one scan is decoded");
	if (c->data_precision != 8)
		return refuse(info, "not 8 bits a sample");
	if (c->jpeg_color_space != JCS_YCbCr && c->jpeg_color_space != JCS_GRAYSCALE)
		return refuse(info, "neither YCbCr nor grey");
	return 0;
}

int vb_jpeg_header(const uint8_t *data, size_t size, int max_side, vb_jpeg_info *info)
{
	struct jpeg_decompress_struct c;
	failure f;
	int result = -1;

	memset(info, 0, sizeof *info);
	memset(&c, 0, sizeof c);
	c.err = on_failure(&f, info);
	if (setjmp(f.back) == 0) {
		jpeg_create_decompress(&c);
		result = header(&c, data, size, info);
		if (result == 0 && (info->width > max_side || info->height > max_side))
			result = refuse(info, "larger than what is decoded");
	}
	jpeg_destroy_decompress(&c);
	return result;
}

int vb_jpeg_decode(const uint8_t *data, size_t size, vb_jpeg_info *info, uint8_t *y, uint8_t *u,
                   uint8_t *v, int ystride, int cstride)
{
	struct jpeg_decompress_struct c;
	failure f;
	target t = {y, u, v, ystride, cstride, info->width & ~1, info->height & ~1};
	volatile int result = -1;

	memset(&c, 0, sizeof c);
	c.err = on_failure(&f, info);
	if (setjmp(f.back) == 0) {
		jpeg_create_decompress(&c);
		if (header(&c, data, size, info) == 0) {
			int kind = sampling(&c);
			c.out_color_space = c.jpeg_color_space;
			c.do_fancy_upsampling = FALSE;
			c.dct_method = JDCT_ISLOW;
			c.raw_data_out = kind != 0;
			jpeg_start_decompress(&c);
			if (kind)
				read_raw(&c, &t, kind == 422);
			else
				read_full(&c, &t);
			result = 0;
		}
	}
	info->warnings = (int)f.base.num_warnings;
	jpeg_destroy_decompress(&c);
	return result;
}
