package codec

// The bodies that clients send. A field that was absent has its zero value; unknown fields are ignored.

// Bind is the body of getUserId.
type Bind struct {
	UserID   OptID  `json:"userId"` // required; OptID to tell 0 from absent
	Token    string `json:"token,omitempty"`
	DeviceID string `json:"deviceId,omitempty"`
	TaskID   TaskID `json:"taskId,omitzero"`
}

// MessageRequest is the body of message.
type MessageRequest struct {
	FromUserID     OptID   `json:"fromUserId,omitzero"`
	ToUserID       OptID   `json:"toUserId,omitzero"`
	ContentStr     string  `json:"contentStr"`
	MsgID          string  `json:"msgId"`
	SendDate       Scalar  `json:"sendDate,omitzero"`
	MsgContentType Integer `json:"msgContentType"`
	SessionID      string  `json:"sessionId"`
	TaskID         TaskID  `json:"taskId,omitzero"`
}

// GroupRequest is the body of every group label; each uses the fields it needs.
type GroupRequest struct {
	UserID         OptID   `json:"userId,omitzero"`
	GroupID        string  `json:"groupId,omitempty"`
	GroupName      *string `json:"groupName,omitempty"`
	GroupHeadImage *string `json:"groupHeadImage,omitempty"`
	Creator        OptID   `json:"creator,omitzero"`
	MemberIDs      []ID    `json:"memberIds,omitempty"`
	TaskID         TaskID  `json:"taskId,omitzero"`
}

// StatusRequest is the body of messageStatus: a receipt, by msgIds or by seq.
type StatusRequest struct {
	UserID    OptID    `json:"userId,omitzero"`
	State     Integer  `json:"state"`
	MsgIDs    []string `json:"msgIds,omitempty"`
	Seq       Integer  `json:"seq,omitzero"`
	SessionID string   `json:"sessionId,omitempty"`
	PeerID    OptID    `json:"peerId,omitzero"`
	TaskID    TaskID   `json:"taskId,omitzero"`
}

// InfoRequest is the body of queryMessageInfo.
type InfoRequest struct {
	UserID    OptID   `json:"userId,omitzero"`
	MsgID     string  `json:"msgId,omitempty"`
	Seq       Integer `json:"seq,omitzero"`
	SessionID string  `json:"sessionId,omitempty"`
	PeerID    OptID   `json:"peerId,omitzero"`
	TaskID    TaskID  `json:"taskId,omitzero"`
}

// OfflineRequest is the body of queryOfflineMessage.
type OfflineRequest struct {
	UserID OptID      `json:"userId,omitzero"`
	Limit  OptInteger `json:"limit,omitzero"`
	TaskID TaskID     `json:"taskId,omitzero"`
}

// HistoryRequest is the body of queryHistory.
type HistoryRequest struct {
	UserID    OptID      `json:"userId,omitzero"`
	SessionID string     `json:"sessionId,omitempty"`
	PeerID    OptID      `json:"peerId,omitzero"`
	BeforeSeq OptInteger `json:"beforeSeq,omitzero"`
	AfterSeq  OptInteger `json:"afterSeq,omitzero"`
	Limit     OptInteger `json:"limit,omitzero"`
	TaskID    TaskID     `json:"taskId,omitzero"`
}

// SessionsRequest is the body of querySessionList.
type SessionsRequest struct {
	UserID OptID      `json:"userId,omitzero"`
	Limit  OptInteger `json:"limit,omitzero"`
	After  string     `json:"after,omitempty"`
	TaskID TaskID     `json:"taskId,omitzero"`
}
