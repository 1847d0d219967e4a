// Package e2e tests the whole chain: it starts `make run`'s program with the
// real binaries of bin/ and looks at what comes out at each hop, with ffmpeg,
// a browser and the project's own probe. Nobody imports it.
//
// The tests share one running chain (see TestMain), the camera being the film
// when it is there, and start others of their own, at other port offsets, for
// what needs known pictures or a clean start.
package e2e
