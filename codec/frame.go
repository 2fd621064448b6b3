package codec

import "encoding/binary"

// A frame, byte by byte:
//
//	offset 0  u32 big-endian n   bytes that follow this field; n = 0 is a heartbeat
//	offset 4  u8 flags           bits 0-1 body format   bits 2-3 kind   bits 4-5 zero   bits 6-7 version, 0
//	offset 5  u8 L               label length, 1..64
//	offset 6  L bytes            label: ASCII letters, digits, '.', '_', '-'
//	offset 6+L                   body, n - 2 - L bytes
const (
	HeaderLen = 4         // bytes of the length
	MaxLength = 1<<24 - 1 // of n: byte 0 of every frame is 00, which no HTTP, TLS or SSH client sends first
	MaxLabel  = 64        // bytes of a label

	labelAt = HeaderLen + 2
)

// Format is how a body is written.
type Format uint8

// The formats, as bits 0-1 of the flags.
const (
	None    Format = 0 // there is no body
	JSON    Format = 1
	MsgPack Format = 2
)

// String gives the format's name.
func (f Format) String() string {
	switch f {
	case None:
		return "none"
	case JSON:
		return "json"
	case MsgPack:
		return "msgpack"
	}
	return "unknown format"
}

// Kind is which way a frame goes and why.
type Kind uint8

// The kinds, as bits 2-3 of the flags.
const (
	Request  Kind = 0
	Response Kind = 1
	Push     Kind = 2
)

// Frame is a frame in the buffer it was read from: Label and Body are views that live no longer than that.
type Frame struct {
	Format Format
	Kind   Kind
	Label  []byte
	Body   []byte
}

// Heartbeat reports whether the frame is a heartbeat, which has no label.
func (f Frame) Heartbeat() bool { return f.Label == nil }

// FrameError says why bytes are not a frame.
type FrameError struct {
	Reason string
	Format Format // of the frame as far as it shows it, else None
}

// Error gives the reason.
func (e *FrameError) Error() string { return e.Reason }

// Errors of frames; each is made once, since a stranger can have them at will.
var (
	errNotOurs = &FrameError{Reason: "these bytes are not a frame of this protocol: the first one is not 00"}
	errTooLong = &FrameError{Reason: "the frame is longer than this server takes at this point"}
	errShort   = &FrameError{Reason: "the frame is too short for its flags and label"}
	errVersion = &FrameError{Reason: "unknown frame version: bits 6-7 of the flags are 0 in v1"}
	errFlags   = &FrameError{Reason: "reserved bits of the flags are set"}
	errLabel   = &FrameError{Reason: "the label is not 1 to 64 ASCII letters, digits, '.', '_' or '-'"}
)

func (e *FrameError) in(f Format) error {
	if f == None {
		return e
	}
	return &FrameError{Reason: e.Reason, Format: f}
}

// ParseFrame looks at the start of b for a frame of at most limit bytes behind its length. n is what it takes
// of b; 0 without an error means that it is not complete. What can be refused is refused as soon as it is
// seen: the length before any byte of a body is waited for.
func ParseFrame(b []byte, limit int) (f Frame, n int, err error) {
	if len(b) > 0 && b[0] != 0 {
		return f, 0, errNotOurs
	}
	if len(b) < HeaderLen {
		return f, 0, nil
	}
	length := int(binary.BigEndian.Uint32(b))
	switch {
	case length == 0:
		return f, HeaderLen, nil
	case length > limit:
		return f, 0, errTooLong
	case length < 3:
		return f, 0, errShort
	case len(b) < labelAt:
		return f, 0, nil
	}
	flags, labelLen := b[4], int(b[5])
	f.Format, f.Kind = Format(flags&3), Kind(flags>>2&3)
	if err := checkFlags(f, flags); err != nil {
		return Frame{}, 0, err
	}
	switch {
	case labelLen == 0 || labelLen > MaxLabel:
		return Frame{}, 0, errLabel.in(f.Format)
	case labelLen+2 > length:
		return Frame{}, 0, errShort.in(f.Format)
	case len(b) < HeaderLen+length:
		return Frame{}, 0, nil
	}
	f.Label = b[labelAt : labelAt+labelLen : labelAt+labelLen]
	for _, c := range f.Label {
		if !labelByte[c] {
			return Frame{}, 0, errLabel.in(f.Format)
		}
	}
	n = HeaderLen + length
	f.Body = b[labelAt+labelLen : n : n]
	return f, n, nil
}

func checkFlags(f Frame, flags byte) error {
	switch {
	case flags&0xc0 != 0:
		return errVersion
	case flags&0x30 != 0:
		return errFlags
	case f.Format > MsgPack, f.Kind > Push:
		return errFlags
	}
	return nil
}

var labelByte = func() (ok [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-" {
		ok[c] = true
	}
	return ok
}()

// AppendHeartbeat appends a heartbeat.
func AppendHeartbeat(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

// BeginFrame appends a frame up to its body; EndFrame(dst, at) completes it once the body is appended.
func BeginFrame(dst []byte, f Format, k Kind, label Label) (frame []byte, at int) {
	at = len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(f)|byte(k)<<2, byte(len(label)))
	return append(dst, label...), at
}

// EndFrame writes the length of the frame that begins at at. A frame that has grown over MaxLength is taken
// back and reported.
func EndFrame(dst []byte, at int) ([]byte, error) {
	n := len(dst) - at - HeaderLen
	if n > MaxLength {
		return dst[:at], errTooLong
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(n))
	return dst, nil
}

// endShort is EndFrame for frames that cannot reach MaxLength.
func endShort(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-HeaderLen))
	return dst
}

// AppendFrame appends a whole frame. The body must be well below MaxLength.
func AppendFrame(dst []byte, f Format, k Kind, label Label, body []byte) []byte {
	dst, at := BeginFrame(dst, f, k, label)
	return endShort(append(dst, body...), at)
}
