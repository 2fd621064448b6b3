package codec

// Guard and GuardJSON are what runs before any decode.
var (
	Guard       = guard
	GuardJSON   = guardJSON
	ErrDeepJSON = errDeepJSON
)
