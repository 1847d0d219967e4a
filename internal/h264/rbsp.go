package h264

// appendEscaped appends the RBSP b as NAL unit bytes: an emulation prevention
// byte goes wherever three bytes would look like a start code (7.4.1). zeros is
// the number of zero bytes that dst already ends with.
func appendEscaped(dst, b []byte, zeros int) []byte {
	for _, v := range b {
		if zeros >= 2 && v <= 3 {
			dst = append(dst, 3)
			zeros = 0
		}
		dst = append(dst, v)
		if v == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return dst
}

// appendUnescaped appends the RBSP of NAL unit bytes.
func appendUnescaped(dst, nal []byte) []byte {
	r := rbsp{b: nal}
	for v, ok := r.next(); ok; v, ok = r.next() {
		dst = append(dst, v)
	}
	return dst
}

// rbsp reads the bytes of a NAL unit without emulation prevention bytes.
type rbsp struct {
	b     []byte
	pos   int
	zeros int
}

func (r *rbsp) next() (byte, bool) {
	if r.zeros >= 2 && r.pos < len(r.b) && r.b[r.pos] == 3 {
		r.pos++
		r.zeros = 0
	}
	if r.pos >= len(r.b) {
		return 0, false
	}
	v := r.b[r.pos]
	r.pos++
	if v == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	return v, true
}

// skip moves n bytes on and says whether they were there.
func (r *rbsp) skip(n int) bool {
	for ; n > 0; n-- {
		if _, ok := r.next(); !ok {
			return false
		}
	}
	return true
}

// more says whether anything but trailing bits is left.
func (r *rbsp) more() bool {
	c := *r
	v, ok := c.next()
	if !ok {
		return false
	}
	_, more := c.next()
	return v != 0x80 || more
}
