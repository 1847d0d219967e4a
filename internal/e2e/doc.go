// Package e2e tests the whole chain: it starts `make run`'s program with the
// real binaries of bin/ and looks at what comes out at each hop, with ffmpeg,
// a browser and the project's own probe. Nobody imports it.
//
// A test starts a chain of its own, at a port offset of its own, and looks at
// many things in it, since a chain takes ten seconds to fill.
package e2e
