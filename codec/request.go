package codec

// The bodies that clients send. A field that was absent has its zero value; unknown fields are ignored.

// Bind is the body of getUserId.
type Bind struct {
	UserID   OptID  `json:"userId"` // required; OptID to tell 0 from absent
	Token    string `json:"token,omitempty" msgpack:"token,omitempty"`
	DeviceID string `json:"deviceId,omitempty" msgpack:"deviceId,omitempty"`
	TaskID   TaskID `json:"taskId,omitzero" msgpack:"taskId,omitempty"`
}

// MessageRequest is the body of message.
type MessageRequest struct {
	FromUserID     OptID      `json:"fromUserId,omitzero" msgpack:"fromUserId,omitempty"`
	ToUserID       OptID      `json:"toUserId,omitzero" msgpack:"toUserId,omitempty"`
	ContentStr     string     `json:"contentStr"`
	MsgID          string     `json:"msgId"`
	SendDate       Scalar     `json:"sendDate,omitzero" msgpack:"sendDate,omitempty"`
	MsgContentType OptInteger `json:"msgContentType,omitzero" msgpack:"msgContentType,omitempty"` // absent is 1, text
	SessionID      string     `json:"sessionId"`
	TaskID         TaskID     `json:"taskId,omitzero" msgpack:"taskId,omitempty"`
}

// GroupRequest is the body of every group label; each uses the fields it needs.
type GroupRequest struct {
	UserID         OptID   `json:"userId,omitzero" msgpack:"userId,omitempty"`
	GroupID        string  `json:"groupId,omitempty" msgpack:"groupId,omitempty"`
	GroupName      *string `json:"groupName,omitzero" msgpack:"groupName,omitempty"`
	GroupHeadImage *string `json:"groupHeadImage,omitzero" msgpack:"groupHeadImage,omitempty"`
	Creator        OptID   `json:"creator,omitzero" msgpack:"creator,omitempty"`
	MemberIDs      IDs     `json:"memberIds,omitempty" msgpack:"memberIds,omitempty"`
	MsgID          string  `json:"msgId,omitempty" msgpack:"msgId,omitempty"` // of a change: the same user with the same one gets the first answer
	TaskID         TaskID  `json:"taskId,omitzero" msgpack:"taskId,omitempty"`
}

// StatusRequest is the body of messageStatus: a receipt, by msgIds or by seq.
type StatusRequest struct {
	UserID    OptID    `json:"userId,omitzero" msgpack:"userId,omitempty"`
	State     Integer  `json:"state"`
	MsgIDs    []string `json:"msgIds,omitempty" msgpack:"msgIds,omitempty"`
	Seq       Integer  `json:"seq,omitzero" msgpack:"seq,omitempty"`
	SessionID string   `json:"sessionId,omitempty" msgpack:"sessionId,omitempty"`
	PeerID    OptID    `json:"peerId,omitzero" msgpack:"peerId,omitempty"`
	TaskID    TaskID   `json:"taskId,omitzero" msgpack:"taskId,omitempty"`
}

// InfoRequest is the body of queryMessageInfo.
type InfoRequest struct {
	UserID    OptID   `json:"userId,omitzero" msgpack:"userId,omitempty"`
	MsgID     string  `json:"msgId,omitempty" msgpack:"msgId,omitempty"`
	Seq       Integer `json:"seq,omitzero" msgpack:"seq,omitempty"`
	SessionID string  `json:"sessionId,omitempty" msgpack:"sessionId,omitempty"`
	PeerID    OptID   `json:"peerId,omitzero" msgpack:"peerId,omitempty"`
	TaskID    TaskID  `json:"taskId,omitzero" msgpack:"taskId,omitempty"`
}

// OfflineRequest is the body of queryOfflineMessage.
type OfflineRequest struct {
	UserID OptID      `json:"userId,omitzero" msgpack:"userId,omitempty"`
	Limit  OptInteger `json:"limit,omitzero" msgpack:"limit,omitempty"`
	TaskID TaskID     `json:"taskId,omitzero" msgpack:"taskId,omitempty"`
}

// HistoryRequest is the body of queryHistory.
type HistoryRequest struct {
	UserID    OptID      `json:"userId,omitzero" msgpack:"userId,omitempty"`
	SessionID string     `json:"sessionId,omitempty" msgpack:"sessionId,omitempty"`
	PeerID    OptID      `json:"peerId,omitzero" msgpack:"peerId,omitempty"`
	BeforeSeq OptInteger `json:"beforeSeq,omitzero" msgpack:"beforeSeq,omitempty"`
	AfterSeq  OptInteger `json:"afterSeq,omitzero" msgpack:"afterSeq,omitempty"`
	Limit     OptInteger `json:"limit,omitzero" msgpack:"limit,omitempty"`
	TaskID    TaskID     `json:"taskId,omitzero" msgpack:"taskId,omitempty"`
}

// SessionsRequest is the body of querySessionList.
type SessionsRequest struct {
	UserID OptID      `json:"userId,omitzero" msgpack:"userId,omitempty"`
	Limit  OptInteger `json:"limit,omitzero" msgpack:"limit,omitempty"`
	After  string     `json:"after,omitempty" msgpack:"after,omitempty"`
	TaskID TaskID     `json:"taskId,omitzero" msgpack:"taskId,omitempty"`
}
