package codec

// Guard is what runs before any MessagePack decode.
var Guard = guard
